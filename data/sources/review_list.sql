-- Filled review lists (`make review-list`) -> one verdict per client asked about.
--
-- To bring filled lists into a source, copy the filled reviews.csv into its folder under a name of its own (data/<source>/ is made anew, the
-- source's folder is kept), copy this file there as reviews.sql, and add to `files:` of its source.yaml:
--
--   review_lists:
--     path: review_lists/*.csv
--     columns: {review_id: review_id, sampled: sampled, reviewed_on: reviewed_on, reviewer: reviewer, verdict: verdict, reason: reason}
--
-- A source with a reviews.sql of its own appends this SELECT to it: `UNION ALL BY NAME`. Dates are written 2024-01-31; if your spreadsheet
-- writes them otherwise, name that form in `date_formats:`; if it saves with semicolons, add `delimiter: ";"` to the entry above.
SELECT
  _row,
  -- of two people who fill in copies of one list, neither overwrites the other; one who sends a list again does
  review_lists.review_id || '.' || lower(trim(coalesce(reviewer, ''))) AS review_id,
  -- exact, whatever a spreadsheet did to the column client_id; where review_id was damaged it is blank, and the row is quarantined
  try(decode(unhex(split_part(review_lists.review_id, '.', 2)))) AS client_id,
  reviewed_on,
  reviewer,
  lower(trim(verdict)) AS verdict,
  reason,
  sampled,
  CASE WHEN coalesce(trim(verdict), '') = '' THEN 'not reviewed yet' END AS _set_aside
FROM review_lists
