// Command trivydb writes a small vulnerability database in Trivy's own format (schema 2), for machines that can't download
// the public one. It knows only what data.json says: a test database, which says nothing about how safe an image is.
//
// Usage: trivydb -updated RFC3339 FOLDER
package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/types"
	bolt "go.etcd.io/bbolt"
)

const version = "1.0.0"

//go:embed data.json
var data []byte

// source is one bucket of the database, such as "debian 12", and who says what is in it.
type source struct {
	Bucket string `json:"bucket"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	URL    string `json:"url"`
}

// advisory is one vulnerability of one package. Debian compares the fixed version; languages compare the ranges.
type advisory struct {
	Bucket     string   `json:"bucket"`
	Package    string   `json:"package"`
	ID         string   `json:"id"`
	Severity   string   `json:"severity"`
	Title      string   `json:"title"`
	Fixed      string   `json:"fixed"`
	Vulnerable []string `json:"vulnerable"`
	Patched    []string `json:"patched"`
	Source     string   `json:"source"`
}

type document struct {
	Sources    []source   `json:"sources"`
	Advisories []advisory `json:"advisories"`
}

func main() {
	show := flag.Bool("v", false, "print the version")
	updated := flag.String("updated", "", "the database's date (RFC 3339)")
	flag.Parse()
	if *show {
		fmt.Println("trivydb " + version)
		return
	}
	if err := run(*updated, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "trivydb:", err)
		os.Exit(1)
	}
}

func run(updated string, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("give exactly one folder")
	}
	date, err := time.Parse(time.RFC3339, updated)
	if err != nil {
		return fmt.Errorf("-updated: %w", err)
	}
	var content document
	if err := json.Unmarshal(data, &content); err != nil {
		return fmt.Errorf("data.json: %w", err)
	}
	folder := arguments[0]
	if err := writeDatabase(folder, content); err != nil {
		return err
	}
	if err := metadata.NewClient(folder).Update(metadata.Metadata{
		Version: db.SchemaVersion, UpdatedAt: date, NextUpdate: date.Add(24 * time.Hour), DownloadedAt: date,
	}); err != nil {
		return err
	}
	return writeOrigin(folder, len(content.Advisories))
}

func writeDatabase(folder string, content document) error {
	if err := db.Init(folder); err != nil {
		return err
	}
	defer db.Close()
	dbc := db.Config{}
	return dbc.BatchUpdate(func(tx *bolt.Tx) error {
		known := map[string]types.SourceID{}
		for _, s := range content.Sources {
			known[s.Bucket] = types.SourceID(s.ID)
			entry := types.DataSource{ID: types.SourceID(s.ID), Name: s.Name, URL: s.URL}
			if err := dbc.PutDataSource(tx, s.Bucket, entry); err != nil {
				return err
			}
		}
		for _, a := range content.Advisories {
			id, ok := known[a.Bucket]
			if !ok {
				return fmt.Errorf("%s names the unknown bucket %q", a.ID, a.Bucket)
			}
			if err := put(dbc, tx, id, a); err != nil {
				return fmt.Errorf("%s: %w", a.ID, err)
			}
		}
		return nil
	})
}

func put(dbc db.Config, tx *bolt.Tx, id types.SourceID, a advisory) error {
	severity, err := types.NewSeverity(a.Severity)
	if err != nil {
		return err
	}
	entry := types.Advisory{FixedVersion: a.Fixed, VulnerableVersions: a.Vulnerable, PatchedVersions: a.Patched}
	if err := dbc.PutAdvisory(tx, []string{a.Bucket, a.Package}, a.ID, &entry); err != nil {
		return err
	}
	return dbc.PutVulnerability(tx, a.ID, types.Vulnerability{
		Title:          a.Title,
		Severity:       a.Severity,
		VendorSeverity: types.VendorSeverity{id: severity},
		References:     []string{a.Source},
	})
}

// writeOrigin leaves a mark beside the database, so that nobody takes it for the public one.
func writeOrigin(folder string, count int) error {
	sum := sha256.Sum256(data)
	text, err := json.MarshalIndent(map[string]any{
		"schema":     1,
		"name":       "small test database",
		"data":       "sha256:" + hex.EncodeToString(sum[:]),
		"advisories": count,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "origin.json"), append(text, '\n'), 0o644)
}
