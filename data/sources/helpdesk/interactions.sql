-- Ticket events -> contacts with the client.
--   opening    the ticket's first event: a message; a complaint if its seriousness is "Value 4" (one ticket in twenty, half of them resolved
--              within four hours where others take days: things stand still at the client)
--   escalation a ticket taken up again after it had been resolved; seriousness raised to "Value 4"; "Require upgrade" (by us)
--   answer     "Resolve ticket" and "Wait" (we ask, or wait for the client): messages by us; a resolution answers the opening
-- The other steps are our own work on the ticket. A few tickets change customer midway: each event counts for the customer it names.
WITH copies AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY case_id, activity, resource, completed_at, customer, product, seriousness, service_level
      ORDER BY _row
    ) AS copy
  FROM ticket_events
),
steps AS (
  SELECT
    *,
    row_number() OVER ticket AS step,
    lag(activity) OVER ticket AS activity_before,
    lag(seriousness) OVER ticket AS seriousness_before
  FROM copies
  WINDOW ticket AS (PARTITION BY case_id, copy > 1 ORDER BY completed_at, _row)
),
named AS (
  SELECT
    *,
    CASE
      WHEN copy > 1 THEN 'copy'
      WHEN step = 1 THEN 'opening'
      WHEN activity_before = 'Resolve ticket' AND activity IN ('Take in charge ticket', 'Wait', 'Assign seriousness') THEN 'reopening'
      WHEN seriousness = 'Value 4' AND seriousness_before IN ('Value 1', 'Value 2') THEN 'raising'
      WHEN activity = 'Require upgrade' THEN 'upgrade'
      WHEN activity IN ('Resolve ticket', 'Wait') THEN 'answer'
    END AS contact
  FROM steps
)
SELECT
  _row,
  CASE
    WHEN contact = 'copy' THEN 'the same event exported twice'
    WHEN contact IS NULL THEN 'a step of our own work on a ticket: no contact with the client'
  END AS _set_aside,
  case_id || ' / ' || step AS interaction_id,
  customer AS client_id,
  replace(completed_at, '/', '-') AS occurred_at,
  'ticket' AS channel,
  CASE WHEN contact IN ('opening', 'reopening', 'raising') THEN 'inbound' ELSE 'outbound' END AS direction,
  CASE
    WHEN contact = 'opening' AND seriousness = 'Value 4' THEN 'complaint'
    WHEN contact IN ('reopening', 'raising', 'upgrade') THEN 'escalation'
    ELSE 'message'
  END AS kind,
  CASE WHEN activity = 'Resolve ticket' THEN case_id || ' / 1' END AS reply_to,
  resource AS staff_id,
  case_id AS deliverable_id
FROM named
