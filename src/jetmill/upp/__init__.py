"""Configurations of UPP (umami-preprocessing 0.3.3), turned into configurations of jetmill."""
