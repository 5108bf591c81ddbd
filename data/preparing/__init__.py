"""What the datasets' commands are made of: archives, masks, label formats, checks, a report."""
