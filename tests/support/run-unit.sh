#!/bin/sh
# Runs the unit test programs named on the command line, behind $WRAPPER when that is set, and counts the tests.
# A program that fails or runs no test at all is a failure; its output is then shown.
set -u

total=0 failed=0
for program; do
	output=$program.log
	CMOCKA_MESSAGE_OUTPUT=stdout ${WRAPPER:-} "$program" >"$output" 2>&1
	status=$?
	count=$(sed -n 's/^\[==========\].* Running \([0-9]*\) test(s).*/\1/p' "$output" | awk '{ n += $1 } END { print n + 0 }')
	if [ $status -ne 0 ] || [ "$count" -eq 0 ]; then
		grep -vE '^\[ +(RUN|OK) +\]' "$output"
		echo "${program##*/}: FAILED (status $status, $count tests)"
		failed=$((failed + 1))
	else
		echo "${program##*/}: $count tests"
	fi
	total=$((total + count))
done
echo "unit: $total tests in $# programs, $failed programs failed"
[ $failed -eq 0 ] && [ $total -gt 0 ]
