-- Receipts -> one payment each, known once the bank's list was read.
SELECT
  _row,
  receipt AS payment_id,
  invoice AS invoice_id,
  paid AS paid_on,
  amount,
  booked_at AS recorded_at
FROM receipts
