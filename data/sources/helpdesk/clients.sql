-- Ticket events -> one client each, known from its first ticket on. Names and trades are not in the file.
SELECT
  list(_row ORDER BY _row) AS _row,
  customer AS client_id,
  replace(min(completed_at), '/', '-')[:10] AS started_on,
  replace(min(completed_at), '/', '-') AS recorded_at
FROM ticket_events
GROUP BY customer
