#!/bin/sh
echo "unpacked and run"
