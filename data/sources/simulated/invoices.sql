-- Every state of an invoice that the bookkeeping has saved -> one version each.
SELECT
  _row,
  invoice AS invoice_id,
  account AS client_id,
  issued AS issued_on,
  due AS due_on,
  amount,
  before_discount AS list_amount,
  'ILS' AS currency,
  disputed AS disputed_on,
  updated_at AS recorded_at
FROM invoices_export
