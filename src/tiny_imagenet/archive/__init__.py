"""The dataset's archive: downloaded or copied, verified, read member by member."""
