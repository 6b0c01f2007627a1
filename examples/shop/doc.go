// Package shop is the example that the demo delivers: Harbour & Hull, a shop
// for ship's supplies made of four small services.
//
//	web ──► catalog
//	 └────► cart ──► payments
//
// The services (cmd/) use the standard library only and keep everything in
// memory. How they are deployed is in deploy/: a Kustomize base, and one
// overlay each for dev, staging and prod, which differ in nothing but their
// overlay. It is an example: there is no money and no goods.
package shop
