-- CRM entries and the ticket system's log -> one interaction each.
-- Notes among ourselves and the closing of a ticket are no contact with the client.
WITH contacts AS (
  SELECT
    _row,
    CASE WHEN type = 'Note' THEN 'internal note: no contact with the client' END AS _set_aside,
    activity_id AS interaction_id,
    account AS client_id,
    contact AS contact_id,
    happened_at AS occurred_at,
    logged_at AS recorded_at,
    CASE type
      WHEN 'Email' THEN 'email'
      WHEN 'Phone' THEN 'call'
      WHEN 'Meeting' THEN 'meeting'
      WHEN 'Visit' THEN 'visit'
      WHEN 'Chat' THEN 'chat'
      WHEN 'Portal' THEN 'portal'
    END AS channel,
    CASE direction WHEN 'In' THEN 'inbound' WHEN 'Out' THEN 'outbound' END AS direction,
    topic,
    minutes AS duration_minutes,
    in_reply_to AS reply_to,
    owner AS staff_id,
    shipment AS deliverable_id,
    CASE mood WHEN 'Hostile' THEN -1 WHEN 'Curt' THEN -0.5 WHEN 'Neutral' THEN 0 WHEN 'Friendly' THEN 0.5 WHEN 'Delighted' THEN 1 END AS tone
  FROM crm
  UNION ALL
  SELECT
    _row,
    CASE WHEN event = 'Closed' THEN 'a ticket closed: no contact with the client' END,
    ticket || '-' || lower(event),
    account,
    reporter,
    happened_at,
    happened_at,
    'ticket',
    CASE event WHEN 'Opened' THEN 'inbound' ELSE 'outbound' END,
    CASE event WHEN 'Opened' THEN subject ELSE 'Reply' END,
    NULL,
    CASE event WHEN 'Replied' THEN ticket || '-opened' END,
    nullif(agent, ''),
    shipment,
    NULL
  FROM ticket_log
)
SELECT
  * EXCLUDE (topic),
  CASE topic
    WHEN 'Shipment order' THEN 'order'
    WHEN 'Report request' THEN 'report_request'
    WHEN 'Instruction' THEN 'instruction'
    WHEN 'Complaint' THEN 'complaint'
    WHEN 'Escalation' THEN 'escalation'
    WHEN 'Could not reach you' THEN 'availability_complaint'
    WHEN 'Price question' THEN 'price_question'
    WHEN 'Discount request' THEN 'discount_request'
    WHEN 'Terms refused' THEN 'terms_refused'
    WHEN 'Extra request' THEN 'scope_request'
    WHEN 'Change request' THEN 'change_request'
    WHEN 'Reversal' THEN 'reversal'
    WHEN 'Return' THEN 'return'
    WHEN 'Cancellation' THEN 'cancellation'
    WHEN 'Meeting declined' THEN 'meeting_declined'
    WHEN 'No show' THEN 'no_show'
    WHEN 'Praise' THEN 'praise'
    WHEN 'Other' THEN 'other'
    ELSE 'message'
  END AS kind
FROM contacts
