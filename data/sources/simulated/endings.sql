-- Contract endings -> one ending each; `decided_on` is the day on which notice was given, `ended_on` may lie ahead while notice runs.
SELECT
  _row,
  notice AS ending_id,
  account AS client_id,
  notice_given AS decided_on,
  ends AS ended_on,
  CASE given_by
    WHEN 'Client' THEN 'client'
    WHEN 'Us' THEN 'us'
    WHEN 'Agreed' THEN 'mutual'
    WHEN 'Ceased trading' THEN 'closed_down'
    WHEN 'Suspended' THEN 'paused'
  END AS ended_by,
  CASE reason
    WHEN 'Price' THEN 'price'
    WHEN 'Service' THEN 'service'
    WHEN 'Fit' THEN 'fit'
    WHEN 'Non payment' THEN 'non_payment'
    WHEN 'Capacity' THEN 'capacity'
    WHEN 'Goal reached' THEN 'solved'
    ELSE 'other'
  END AS reason,
  entered_at AS recorded_at
FROM contract_endings
