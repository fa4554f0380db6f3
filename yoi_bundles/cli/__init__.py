"""The command line: click, printing, exit codes and environment live only here."""
