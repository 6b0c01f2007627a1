package labtest

import "errors"

func startSimulated() (*plane, error) { return nil, errors.New("later") }
