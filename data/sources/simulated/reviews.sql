-- What a partner said of a client -> one verdict each.
SELECT
  _row,
  review AS review_id,
  account AS client_id,
  reviewed AS reviewed_on,
  reviewer,
  CASE verdict WHEN 'Let go' THEN 'misfit' WHEN 'Keep' THEN 'keep' WHEN 'Not sure' THEN 'unsure' END AS verdict,
  why AS reason,
  entered_at AS recorded_at
FROM partner_reviews
