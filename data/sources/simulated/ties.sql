-- Who came through whom, who owns whom, who works with whom -> one tie each.
SELECT
  _row,
  tie AS tie_id,
  account AS client_id,
  other_account AS other_client_id,
  CASE kind WHEN 'Referral' THEN 'referral' WHEN 'Owner' THEN 'ownership' WHEN 'Partner' THEN 'partner' END AS kind,
  since AS from_on,
  until AS until_on,
  entered_at AS recorded_at
FROM referrals
