// Package supply brings Modules their packages: it reads what a Module names in the agent's namespace (Secrets, ConfigMaps), asks the catalogue
// and the source which versions there are, has package wanted choose, and package pack fetch and render. Package plan takes from it.
package supply
