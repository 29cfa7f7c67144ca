"""Who asks: credentials, sign-in, enrolment."""
