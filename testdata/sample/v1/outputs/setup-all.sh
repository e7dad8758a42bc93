#!/bin/sh
. ./config.sh
echo this would set up a machine
