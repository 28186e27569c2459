#!/usr/bin/env bash
# Start a small Ceph with its S3 gateway on 127.0.0.1:7480, for the tests that need a bucket. Ctrl-C ends it.
# Needs Debian's packages ceph-mon, ceph-mgr, ceph-osd and radosgw. All data are in memory.
set -euo pipefail
folder=$(mktemp -d /tmp/tvceph-XXXXXX)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$folder"' EXIT
export CEPH_CONF=$folder/ceph.conf
mkdir -p "$folder"/{run,mon,mgr,osd,rgw}
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:13300,v1:127.0.0.1:16789]
public addr = 127.0.0.1
run dir = $folder/run
admin socket = $folder/run/\$name.asok
log file = $folder/\$name.log
crash dir = $folder/run
mon data = $folder/mon
mgr data = $folder/mgr
osd data = $folder/osd
rgw data = $folder/rgw
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
[client.admin]
keyring = $folder/keyring
[client.rgw]
keyring = $folder/rgw/keyring
rgw frontends = beast endpoint=127.0.0.1:7480
CONF
fsid=$(awk '/^fsid/ {print $3}' "$CEPH_CONF")
ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *' > /dev/null
ceph-authtool "$folder/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' > /dev/null
monmaptool --create --fsid "$fsid" --addv a '[v2:127.0.0.1:13300,v1:127.0.0.1:16789]' "$folder/monmap" > /dev/null
ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring"
ceph-mon -f -i a > /dev/null 2>&1 &
timeout 60 ceph auth get-or-create mgr.x mon 'allow profile mgr' osd 'allow *' -o "$folder/mgr/keyring"
ceph-mgr -f -i x > /dev/null 2>&1 &
secret=$(ceph-authtool --gen-print-key)
uuid=$(cat /proc/sys/kernel/random/uuid)
echo "{\"cephx_secret\": \"$secret\"}" | ceph osd new "$uuid" -i - > /dev/null
ceph-authtool --create-keyring "$folder/osd/keyring" -n osd.0 --add-key "$secret" > /dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$uuid" > /dev/null 2>&1
ceph-osd -f -i 0 > /dev/null 2>&1 &
ceph auth get-or-create client.rgw mon 'allow rw' osd 'allow rwx' -o "$folder/rgw/keyring"
radosgw -f -n client.rgw > /dev/null 2>&1 &
timeout 120 radosgw-admin user create --uid tests --display-name tests --access-key tests --secret-key a-secret-of-the-tests > /dev/null
until curl --silent --output /dev/null http://127.0.0.1:7480; do sleep 1; done
# Older versions of curl do not send the hash of an empty body, which Ceph needs.
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
curl --silent --fail -H "x-amz-content-sha256: $empty" --aws-sigv4 aws:amz:us-east-1:s3 --user tests:a-secret-of-the-tests \
  -X PUT http://127.0.0.1:7480/bars
echo "Run the tests with TESTS_S3_ENDPOINT=http://127.0.0.1:7480."
wait
