// Package tap says test results as the Test Anything Protocol (https://testanything.org/tap-version-13-specification.html).
// It stands in for github.com/mndrix/tap-go, which the validation suite imports and Debian does not package.
package tap

import (
	"encoding/json"
	"fmt"
	"strings"
)

// T counts the results of one test program.
type T struct {
	said int
	todo bool
}

// New starts a test program's results.
func New() *T { return &T{} }

// Header says the version and, unless it is 0, how many results will follow.
func (t *T) Header(plan int) {
	fmt.Println("TAP version 13")
	if plan > 0 {
		fmt.Printf("1..%d\n", plan)
	}
}

// AutoPlan says how many results there were.
func (t *T) AutoPlan() { fmt.Printf("1..%d\n", t.said) }

// Ok says one result.
func (t *T) Ok(passed bool, description string) {
	verdict := "ok"
	if !passed {
		verdict = "not ok"
	}
	t.result(verdict, description)
}

// Pass says a result that is good.
func (t *T) Pass(description string) { t.Ok(true, description) }

// Fail says a result that is bad.
func (t *T) Fail(description string) { t.Ok(false, description) }

// Skip says that the next count results were not tried.
func (t *T) Skip(count int, reason string) {
	for ; count > 0; count-- {
		t.result("ok", "# SKIP "+reason)
	}
}

// Todo makes the next result one that is not expected to be good.
func (t *T) Todo() *T {
	t.todo = true
	return t
}

// Diagnostic says a remark.
func (t *T) Diagnostic(remark string) {
	fmt.Println("# " + strings.ReplaceAll(strings.TrimRight(remark, "\n"), "\n", "\n# "))
}

// Diagnosticf says a formatted remark.
func (t *T) Diagnosticf(format string, args ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, args...))
}

// YAML says what belongs to the last result; JSON is YAML.
func (t *T) YAML(about interface{}) error {
	text, err := json.MarshalIndent(about, "  ", "  ")
	if err != nil {
		return err
	}
	fmt.Printf("  ---\n  %s\n  ...\n", text)
	return nil
}

func (t *T) result(verdict, description string) {
	t.said++
	if t.todo {
		description += " # TODO"
		t.todo = false
	}
	fmt.Printf("%s %d - %s\n", verdict, t.said, description)
}
