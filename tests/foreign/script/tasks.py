OWNER = "the script"
