"""The long tests: hostile files, kills, disks that fill and crowds, each with what is promised."""
