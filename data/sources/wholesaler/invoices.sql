-- Order lines -> one invoice each; what is taken back is an amount below zero. There is no record of due dates or payments.
SELECT
  list(_row ORDER BY _row) AS _row,
  invoice_no AS invoice_id,
  regexp_replace(customer_id, '\.0$', '') AS client_id,
  min(invoice_date)[:10] AS issued_on,
  -- prices have up to three decimals, so the sum is exact; one line that is no number leaves the whole amount out, to be quarantined
  if(count(line_amount) = count(*), sum(line_amount), NULL) AS amount,
  'GBP' AS currency
FROM (SELECT *, try_cast(quantity AS BIGINT) * try_cast(unit_price AS DECIMAL(18, 4)) AS line_amount FROM order_lines)
WHERE coalesce(customer_id, '') <> ''
GROUP BY invoice_no, customer_id
