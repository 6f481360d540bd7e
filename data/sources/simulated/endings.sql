-- Contract endings -> one ending each; `decided_on` is the day on which notice was given. While notice runs, "Ends" lies ahead of the
-- newest entry: a plan, and not yet the fact that `ended_on` is.
SELECT
  _row,
  contract AS ending_id,
  account AS client_id,
  notice_given AS decided_on,
  CASE
    WHEN try_strptime(ends, '%d/%m/%Y') >= (SELECT max(try_strptime(entered_at, '%d/%m/%Y %H:%M')) FROM contract_endings) THEN NULL
    ELSE ends
  END AS ended_on,
  CASE given_by
    WHEN 'Client' THEN 'client'
    WHEN 'Us' THEN 'us'
    WHEN 'Agreed' THEN 'mutual'
    WHEN 'Ceased trading' THEN 'closed_down'
    WHEN 'Suspended' THEN 'paused'
  END AS ended_by,
  CASE reason WHEN 'Price' THEN 'price' WHEN 'Service' THEN 'service' WHEN 'Fit' THEN 'fit' WHEN 'Non payment' THEN 'non_payment' ELSE 'other' END AS reason,
  entered_at AS recorded_at
FROM contract_endings
