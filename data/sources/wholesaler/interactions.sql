-- Order lines -> one interaction per invoice. The client id is a number that some program has written as 17850.0.
-- An InvoiceNo beginning with C takes lines back: goods are a return; a discount, fee or correction alone is a cancellation.
SELECT
  list(_row ORDER BY _row) AS _row,
  CASE WHEN customer_id = '' THEN 'no CustomerID: cannot be told whose order it is' END AS _set_aside,
  invoice_no AS interaction_id,
  regexp_replace(customer_id, '\.0$', '') AS client_id,
  min(invoice_date) AS occurred_at,  -- 43 invoices were typed over the turn of a minute
  'order' AS channel,
  'inbound' AS direction,
  CASE
    WHEN invoice_no NOT LIKE 'C%' THEN 'order'
    WHEN bool_or(regexp_matches(stock_code, '^[0-9]')) THEN 'return'
    ELSE 'cancellation'
  END AS kind
FROM (SELECT * REPLACE (coalesce(customer_id, '') AS customer_id) FROM order_lines)
GROUP BY invoice_no, customer_id
