"""Dynamic admission: MutatingWebhookConfigurations and ValidatingWebhookConfigurations."""
