"""Recommendations: what sells, as long as the catalog still has it."""
