"""Text in drawn images, read by OCR."""
