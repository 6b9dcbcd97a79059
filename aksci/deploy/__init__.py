"""Deploy: Helm applies, we follow, diagnose and put back."""
