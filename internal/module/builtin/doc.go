// Package builtin reconciles the Modules that are part of Slipway: they have no package, no plan and no objects, so that package attempt has
// nothing to do with them. What runs in the agent (delivery) has the agent's version, and its Module says whether the agent serves it.
package builtin
