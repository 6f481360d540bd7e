-- Time sheets -> one version of an entry each. Cost is the staff's, not what the client pays.
SELECT
  _row,
  entry AS work_id,
  account AS client_id,
  staff AS staff_id,
  worked AS worked_on,
  minutes AS duration_minutes,
  billable AS is_billable,
  in_scope AS is_in_scope,
  cost,
  'ILS' AS currency,
  invoice AS invoice_id,
  entered_at AS recorded_at
FROM timesheet
