-- What a partner said of a client -> one verdict each. Half of the looks are at random; the others at whom stood out, which no list drew.
SELECT
  _row,
  review AS review_id,
  account AS client_id,
  reviewed AS reviewed_on,
  reviewer,
  CASE verdict WHEN 'Let go' THEN 'misfit' WHEN 'Keep' THEN 'keep' WHEN 'Not sure' THEN 'unsure' END AS verdict,
  why AS reason,
  CASE how_chosen WHEN 'At random' THEN 'random' END AS sampled,
  entered_at AS recorded_at
FROM partner_reviews
