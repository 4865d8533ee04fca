package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"skiff/formats/sign"
)

// The default keys lie in the skiff folder of the user's configuration directory
// and are made when they are first needed.
const (
	privateFile = "model.key" // signs what `skiff pack` makes
	publicFile  = "model.pub" // its public half, a trust file for devices
)

// signingKey reads the key file at path, or the default key when path is empty.
func signingKey(path string) (sign.Private, error) {
	if path != "" {
		return sign.LoadPrivate(path)
	}
	dir, err := keyFolder()
	if err != nil {
		return sign.Private{}, err
	}
	path = filepath.Join(dir, privateFile)
	key, err := sign.LoadPrivate(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	return makeKey(dir)
}

// makeKey writes a new pair. Two commands may do so at once: the private file is
// never replaced, so the slower one takes the faster one's key.
func makeKey(dir string) (sign.Private, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return sign.Private{}, fmt.Errorf("make key folder: %w", err)
	}
	key, err := sign.Generate()
	if err != nil {
		return sign.Private{}, err
	}
	path := filepath.Join(dir, privateFile)
	if err := sign.SavePrivate(path, key); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return sign.Private{}, err
		}
		if key, err = sign.LoadPrivate(path); err != nil {
			return sign.Private{}, err
		}
	}
	return key, sign.SavePublic(filepath.Join(dir, publicFile), key.Public(sign.RoleModel))
}

// trusted reads the trust file at path, or takes the public half of the default
// key when path is empty.
func trusted(path string) (*sign.Trust, error) {
	if path != "" {
		return sign.LoadTrust(path)
	}
	key, err := signingKey("")
	if err != nil {
		return nil, err
	}
	return sign.NewTrust(key.Public(sign.RoleModel)), nil
}

// ownTrust is the public half of the default key; nil where none has been made yet.
func ownTrust() (*sign.Trust, error) {
	dir, err := keyFolder()
	if err != nil {
		return nil, nil // no configuration directory: no key
	}
	key, err := sign.LoadPrivate(filepath.Join(dir, privateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return sign.NewTrust(key.Public(sign.RoleModel)), nil
}

func keyFolder() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find configuration directory: %w", err)
	}
	return filepath.Join(dir, "skiff"), nil
}
