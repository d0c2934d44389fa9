"""From one envelope to everybody who follows its room; transports are known by what they offer."""
