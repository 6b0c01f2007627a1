package upgrade

import "context"

// Look has the driver look once.
func (d *Driver) Look(ctx context.Context) (underWay bool, err error) {
	seen, err := d.look(ctx)
	return seen.underWay, err
}
