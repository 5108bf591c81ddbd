"""report.py: one HTML file that shows training runs, from what they left in their folders."""
