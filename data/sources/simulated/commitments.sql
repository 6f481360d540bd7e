-- Tasks with a date, ours and the client's -> one version of a promise each.
SELECT
  _row,
  task AS commitment_id,
  account AS client_id,
  shipment AS deliverable_id,
  CASE owed_by WHEN 'Us' THEN 'us' WHEN 'Client' THEN 'client' END AS owed_by,
  CASE kind
    WHEN 'Deliver shipment' THEN 'deliverable'
    WHEN 'Send documents' THEN 'material'
    WHEN 'Send quote' THEN 'quote'
    WHEN 'Meeting' THEN 'appointment'
    WHEN 'Main goal' THEN 'primary_goal'
    ELSE 'task'
  END AS kind,
  promised AS promised_on,
  due AS due_on,
  done AS done_on,
  cancelled AS cancelled_on,
  updated_at AS recorded_at
FROM tasks
