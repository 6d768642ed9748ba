"""Rendered text, read by OCR."""
