package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"skiff/formats/sign"
)

const (
	privateName = "fleet.key"
	publicName  = "fleet.pub"
)

// loadKey reads the fleet's signing key, made at the first start, and sees to it that the
// public half lies beside it.
func loadKey(dir string) (sign.Private, error) {
	path := filepath.Join(dir, privateName)
	key, err := sign.LoadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = newKey(path)
	}
	if err != nil {
		return sign.Private{}, fmt.Errorf("fleet key: %w", err)
	}
	public := key.Public(sign.RoleFleet)
	text, err := sign.PEM(public)
	if err != nil {
		return sign.Private{}, fmt.Errorf("fleet key: %w", err)
	}
	path = filepath.Join(dir, publicName)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return key, nil
	}
	return key, sign.SavePublic(path, public)
}

func newKey(path string) (sign.Private, error) {
	key, err := sign.Generate()
	if err != nil {
		return sign.Private{}, err
	}
	return key, sign.SavePrivate(path, key)
}
