-- Hold-outs drawn (actions_to_record.csv of `make score`) -> one step `hold_out` per client left alone by lot, done on the day of the draw.
--
-- To bring them into a source, copy each as_of's actions_to_record.csv into its folder under a name of its own (data/<source>/ is made anew,
-- the source's folder is kept), copy this file there as actions.sql, and add to `files:` of its source.yaml:
--
--   hold_outs:
--     path: hold_outs/*.csv
--     columns: {action_id: action_id, kind: kind}
--
-- A source with an actions.sql of its own appends this SELECT to it: `UNION ALL BY NAME`. If your spreadsheet saves with semicolons, add
-- `delimiter: ";"` to the entry above.
SELECT
  _row,
  action_id,
  -- both exact, whatever a spreadsheet did to the columns client_id and done_on; where action_id was damaged, the row is quarantined
  try(decode(unhex(split_part(action_id, '.', 2)))) AS client_id,
  try_cast(right(split_part(action_id, '.', 1), 10) AS DATE) AS done_on,
  kind
FROM hold_outs
