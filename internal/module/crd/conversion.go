package crd

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// webhook is the conversion webhook of a definition, nil where objects are only renamed from version to version.
func webhook(d *definition) *apiextensionsv1.WebhookConversion {
	conversion := d.Spec.Conversion
	if conversion == nil || conversion.Strategy != apiextensionsv1.WebhookConverter {
		return nil
	}
	if conversion.Webhook == nil {
		return &apiextensionsv1.WebhookConversion{}
	}
	return conversion.Webhook
}

// conversion judges who converts objects from one version into another. With a single version on both sides nobody is ever asked.
func conversion(r *Report, c Change) {
	if len(c.Live.Spec.Versions) < 2 && len(c.Next.Spec.Versions) < 2 && storage(c.Live) == storage(c.Next) {
		return
	}
	const path = "spec.conversion"
	if webhook(c.Next) != nil {
		if c.ConvertsBack {
			r.add(Backward, ConversionDeclared, "", path, "")
		} else {
			r.add(Backward, ConversionWebhook, "", path, "")
		}
	}
	both(r, c, func(d Direction, a, b *definition) {
		was, is := webhook(a), webhook(b)
		switch {
		case was != nil && is == nil && d == Backward && len(b.Spec.Versions) < 2: // nothing is left to convert
		case was != nil && is == nil:
			r.add(d, ConversionDropped, "", path, "")
		case was != nil && address(was) != address(is):
			r.add(d, ConversionMoved, "", path, address(was)+" to "+address(is))
		}
	})
}

// address is where a webhook answers, for people.
func address(w *apiextensionsv1.WebhookConversion) string {
	switch config := w.ClientConfig; {
	case config == nil:
		return "nowhere"
	case config.URL != nil:
		return "a URL outside of the cluster" // it may carry what is secret
	case config.Service == nil:
		return "nowhere"
	default:
		s := config.Service
		port, path := int32(443), ""
		if s.Port != nil {
			port = *s.Port
		}
		if s.Path != nil {
			path = *s.Path
		}
		return fmt.Sprintf("service %s/%s:%d%s", s.Namespace, s.Name, port, path)
	}
}
