-- The accounts list as it stands today -> one client each.
SELECT
  _row,
  account AS client_id,
  name,
  size AS segment,
  industry,
  country,
  client_since AS started_on,
  referrer AS referred_by,
  owner AS account_owner,
  created_at AS recorded_at
FROM accounts
