"""Mathematics and checks that every floor stands on."""
