"""What data layers read: databases, image files, means; how they transform and prefetch it."""
