// Package outage takes the API server away for longer than anybody's timeouts, and checks that agents come back from it by themselves.
package outage
