-- Answers of clients (NPS, CSAT), marks by our team after contact, and what the trade says -> one answer each.
SELECT
  _row,
  answer AS survey_id,
  account AS client_id,
  answered AS answered_on,
  CASE asked WHEN 'NPS' THEN 'nps' WHEN 'CSAT' THEN 'csat' WHEN 'Team morale' THEN 'staff_morale' WHEN 'Reputation' THEN 'reputation' END AS kind,
  score,
  entered_at AS recorded_at
FROM survey_answers
