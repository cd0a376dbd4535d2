"""Who visits the console: browsers, and visitors without one."""
