package health

import (
	"cmp"
	"strings"
)

// service is healthy by being there, but for those that wait for an address from
// outside of the cluster.
func service(o object) Verdict {
	if o.text("spec", "type") != "LoadBalancer" {
		return exists(o)
	}
	if addresses := addresses(o.list("status", "loadBalancer", "ingress")); addresses != "" {
		return healthy("Provisioned", "reachable at %s", addresses)
	}
	return progressing("NoAddress", "waits for an address of its load balancer")
}

// ingress is healthy by being there: many controllers never write its status.
func ingress(o object) Verdict {
	if addresses := addresses(o.list("status", "loadBalancer", "ingress")); addresses != "" {
		return healthy("Provisioned", "reachable at %s", addresses)
	}
	return exists(o)
}

func addresses(entries []object) string {
	var all []string
	for _, e := range entries {
		if a := cmp.Or(e.text("hostname"), e.text("ip")); a != "" {
			all = append(all, a)
		}
	}
	return strings.Join(all, ", ")
}

func gatewayClass(o object) Verdict {
	c, ok := o.condition("Accepted")
	return accepted(o, c, ok)
}

// gateway is healthy when it is programmed into the data plane.
func gateway(o object) Verdict {
	c, ok := o.condition("Accepted")
	if v := accepted(o, c, ok); v.State != Healthy {
		return v
	}
	c, ok = o.condition("Programmed")
	switch {
	case !ok || c.stale(o):
		return progressing("NotProgrammed", "accepted, and not programmed into the data plane yet")
	case c.isTrue():
		return healthy("Programmed", "programmed%s", at(addressValues(o)))
	case c.Reason == "Invalid":
		return degraded(c.Reason, "%s", c.says("the gateway is invalid"))
	default: // Pending, NoResources, AddressNotAssigned…: the controller goes on trying
		return progressing(c.because("NotProgrammed"), "%s", c.says("not programmed into the data plane yet"))
	}
}

func addressValues(o object) string {
	var all []string
	for _, a := range o.list("status", "addresses") {
		if v := a.text("value"); v != "" {
			all = append(all, v)
		}
	}
	return strings.Join(all, ", ")
}

func at(addresses string) string {
	if addresses == "" {
		return ""
	}
	return ", reachable at " + addresses
}

// accepted judges an Accepted condition of the Gateway API.
func accepted(o object, c condition, found bool) Verdict {
	switch {
	case !found || c.Reason == "Pending" || c.Status == "Unknown":
		return progressing("Pending", "%s", cmp.Or(strings.TrimSpace(c.Message), "no controller has taken it up yet"))
	case c.stale(o):
		return outdated()
	case c.isTrue():
		return healthy(c.because("Accepted"), "accepted")
	default:
		return degraded(c.because("NotAccepted"), "not accepted: %s", c.says("no reason given"))
	}
}

// route is healthy when every parent has accepted it and finds all that it refers to.
func route(o object) Verdict {
	parents := o.list("status", "parents")
	if len(parents) == 0 {
		return progressing("Pending", "no gateway has taken it up yet")
	}
	for _, p := range parents {
		name := p.text("parentRef", "name")
		conditions := p.conditions("conditions")
		c, ok := find(conditions, "Accepted")
		if v := accepted(o, c, ok); v.State != Healthy {
			v.Message = "gateway " + name + ": " + v.Message
			return v
		}
		c, ok = find(conditions, "ResolvedRefs")
		switch {
		case !ok || c.isTrue():
		case c.stale(o) || c.Reason == "BackendNotFound": // it may come with the same apply
			return progressing(c.because("NotResolved"), "gateway %s: %s", name, c.says("a backend does not exist yet"))
		default:
			return degraded(c.because("NotResolved"), "gateway %s: %s", name, c.says("something it refers to cannot be used"))
		}
	}
	return healthy("Accepted", "accepted by %d of %d parents", len(parents), len(parents))
}
