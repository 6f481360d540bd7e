-- Ticket events -> one task of ours each, promised when the ticket was opened and done when it was (finally) resolved: the waiting time.
-- There is no due date. The task belongs to the customer who opened the ticket.
SELECT
  list(_row ORDER BY _row) AS _row,
  case_id AS commitment_id,
  arg_min(customer, (completed_at, _row)) AS client_id,
  case_id AS deliverable_id,
  'us' AS owed_by,
  'task' AS kind,
  replace(min(completed_at), '/', '-')[:10] AS promised_on,
  replace(max(completed_at) FILTER (activity = 'Resolve ticket'), '/', '-')[:10] AS done_on,
  replace(min(completed_at), '/', '-') AS recorded_at
FROM ticket_events
GROUP BY case_id
