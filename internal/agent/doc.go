// Package agent is the process that runs in every cluster: it ties the layers of delivery together under one manager, serves artifacts,
// metrics and probes, and stands by while another replica leads.
package agent
