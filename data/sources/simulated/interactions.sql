-- CRM entries -> one interaction each. Notes among ourselves are no contact with the client.
SELECT
  _row,
  CASE WHEN type = 'Note' THEN 'internal note: no contact with the client' END AS _set_aside,
  activity_id AS interaction_id,
  account AS client_id,
  happened_at AS occurred_at,
  logged_at AS recorded_at,
  CASE type WHEN 'Email' THEN 'email' WHEN 'Phone' THEN 'call' WHEN 'Meeting' THEN 'meeting' WHEN 'Portal' THEN 'portal' END AS channel,
  CASE direction WHEN 'In' THEN 'inbound' WHEN 'Out' THEN 'outbound' END AS direction,
  CASE topic
    WHEN 'Shipment order' THEN 'order'
    WHEN 'Report request' THEN 'report_request'
    WHEN 'Instruction' THEN 'instruction'
    WHEN 'Complaint' THEN 'complaint'
    WHEN 'Escalation' THEN 'escalation'
    WHEN 'Could not reach you' THEN 'availability_complaint'
    WHEN 'Price question' THEN 'price_question'
    WHEN 'Discount request' THEN 'discount_request'
    WHEN 'Change request' THEN 'change_request'
    WHEN 'Meeting declined' THEN 'meeting_declined'
    WHEN 'No show' THEN 'no_show'
    WHEN 'Praise' THEN 'praise'
    ELSE 'message'
  END AS kind,
  minutes AS duration_minutes,
  owner AS staff_id
FROM crm
