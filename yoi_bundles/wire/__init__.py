"""HTTP messages, problem documents, the capped client and what both servers share."""
